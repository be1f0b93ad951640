import './application.ts';
import '../../../stack/deploy-faults.test.ts';
