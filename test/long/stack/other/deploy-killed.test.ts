import './application.ts';
import '../../../stack/deploy-killed.test.ts';
