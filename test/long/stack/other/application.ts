/** What a test imports first that is of another folder, and runs here with the other application of test/app. */
process.env.TEST_APPLICATION = 'other';
