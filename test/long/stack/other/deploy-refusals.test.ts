import './application.ts';
import '../../../stack/deploy-refusals.test.ts';
