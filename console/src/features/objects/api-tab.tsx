import { quote } from '@/features/changes/call';
import { Code } from '@/ui/code';
import { Section } from '@/ui/page';
import { type Many, NOUNS } from './nouns';
import classes from './object-page.module.css';

interface Props {
  workspace: string;
  many: Many;
  name: string;
}

/** The same, asked for in other ways. */
export function ApiTab({ workspace, many, name }: Props) {
  const noun = NOUNS[many];
  const path = noun.list.replace('{workspace}', workspace);
  const url = `${globalThis.location.origin}${path}/${encodeURIComponent(name)}`;
  const of = workspace === 'default' ? '' : ` --workspace ${workspace}`;
  return (
    <div className={classes.stack}>
      <Section title="Request">
        <Code
          text={`curl ${quote(url)} \\\n  -H "Authorization: Bearer $OSTIARY_TOKEN"`}
          what="request"
        />
      </Section>
      <Section title="Command">
        <Code text={`ostiary ${noun.command} show ${quote(name)}${of} --json`} what="command" />
      </Section>
      <p className={classes.note}>
        Every request is described in <a href="/api/v1/openapi.json">/api/v1/openapi.json</a>.
      </p>
    </div>
  );
}
