CREATE TABLE users (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  email text NOT NULL UNIQUE,
  password text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE articles (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  title text NOT NULL,
  subtitle text NOT NULL
);

INSERT INTO articles (title, subtitle)
SELECT 'Article ' || n, 'What article ' || n || ' is about' FROM generate_series(1, 20) AS n;

-- The client chooses the id, and nothing makes it unique: a POST that was sent twice is two rows to count.
CREATE TABLE orders (
  id uuid NOT NULL,
  instance text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX orders_id ON orders (id);

CREATE TABLE uploads (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  bytes bigint NOT NULL,
  sha256 text NOT NULL,
  instance text NOT NULL
);

-- One row for each run, so that a job that ran twice is two rows.
CREATE TABLE job_runs (
  job_id text NOT NULL,
  instance text NOT NULL,
  finished_at timestamptz NOT NULL DEFAULT now()
);
