/** What test/long/deploy/judge.test.ts imports first. */
process.env.JUDGE_SEEDS = '20';
