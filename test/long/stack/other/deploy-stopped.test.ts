import './application.ts';
import '../../../stack/deploy-stopped.test.ts';
