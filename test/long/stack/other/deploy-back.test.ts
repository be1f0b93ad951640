import './application.ts';
import '../../../stack/deploy-back.test.ts';
