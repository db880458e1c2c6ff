import { queryOptions, useQuery } from '@tanstack/react-query';

import { api, take } from '@/api/client';
import { Code } from '@/ui/code';
import { TableSkeleton } from '@/ui/table-skeleton';
import { Trouble } from '@/ui/trouble';
import { documentOf } from './document';
import { type Many, NOUNS } from './nouns';
import classes from './object-page.module.css';

interface Props {
  workspace: string;
  many: Many;
  name: string;
}

/** The thing as it stands in the workspace's file. */
export function YamlTab({ workspace, many, name }: Props) {
  const { data, error, refetch } = useQuery(exportQuery(workspace));
  if (error) {
    return (
      <Trouble what="There is no document to show" error={error} retry={() => void refetch()} />
    );
  }
  if (data === undefined) return <TableSkeleton />;
  const text = documentOf(data, NOUNS[many].file, name);
  if (text === null) {
    return <p className={classes.note}>It stands in no file: it is built in, or not for you.</p>;
  }
  return (
    <div className={classes.stack}>
      <Code text={text} what="document" />
      <p className={classes.note}>
        Secrets stand as <code>vault:</code>. A file with it is applied by
      </p>
      <Code text={`ostiary apply -f ${name}.yaml`} what="command" />
    </div>
  );
}

function exportQuery(workspace: string) {
  return queryOptions({
    queryKey: ['workspace', workspace, 'export'],
    queryFn: ({ signal }) =>
      take(
        api.GET('/api/v1/workspaces/{workspace}/export', {
          params: { path: { workspace } },
          parseAs: 'text',
          signal,
        }),
      ),
  });
}
