import './application.ts';
import '../../../stack/deploy-load.test.ts';
