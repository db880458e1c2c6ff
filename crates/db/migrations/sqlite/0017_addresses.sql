-- From where things may be used: networks as a JSON list, of which none means everywhere.
ALTER TABLE workspaces ADD COLUMN addresses TEXT NOT NULL DEFAULT '[]';
ALTER TABLE gateways ADD COLUMN addresses TEXT NOT NULL DEFAULT '[]';
ALTER TABLE apps ADD COLUMN addresses TEXT NOT NULL DEFAULT '[]';
