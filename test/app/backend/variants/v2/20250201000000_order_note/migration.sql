-- Only expands: the version before goes on working, so a rollback needs no restored database.
ALTER TABLE orders ADD COLUMN note text;
