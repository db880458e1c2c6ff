-- About how many tokens the calls were. What was counted before, and what an older version counts beside this one,
-- has none.
ALTER TABLE series ADD COLUMN tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE series_open ADD COLUMN tokens INTEGER NOT NULL DEFAULT 0;

INSERT INTO additive_migrations (version) VALUES (34);
