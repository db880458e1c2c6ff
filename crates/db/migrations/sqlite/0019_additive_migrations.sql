-- What a version that does not know a migration goes by: one that is named here has only added to the
-- schema, so that a version from before it can go on, beside newer ones or in their place. Each
-- migration after this one names itself here, or else keeps older versions away.
CREATE TABLE additive_migrations (
    version INTEGER PRIMARY KEY
) STRICT;
