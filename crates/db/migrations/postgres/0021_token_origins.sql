-- Who has made a token for somebody else, and with which of their own tokens users have made
-- another: neither outlives what it came from.
ALTER TABLE user_admin_tokens ADD COLUMN made_by UUID;
ALTER TABLE user_admin_tokens ADD COLUMN made_with UUID;
