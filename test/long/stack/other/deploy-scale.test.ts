import './application.ts';
import '../../../stack/deploy-scale.test.ts';
