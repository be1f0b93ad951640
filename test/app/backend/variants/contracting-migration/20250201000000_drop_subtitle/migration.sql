-- Contracts: the version before reads this column, so it can't come back without the database of its time.
ALTER TABLE articles DROP COLUMN subtitle;
