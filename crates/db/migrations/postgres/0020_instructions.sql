-- What servers under review tell models of themselves as a whole needs an approval, too.
ALTER TABLE pins DROP CONSTRAINT pins_kind_check;
ALTER TABLE pins ADD CONSTRAINT pins_kind_check
    CHECK (kind IN ('instructions', 'prompt', 'resource_template', 'tool'));
