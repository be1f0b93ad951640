/** What the judge makes of generated traffic, with 20 samples of each scene. */
import '../../support/deploy/more-seeds.ts';
import '../../deploy/judge.test.ts';
