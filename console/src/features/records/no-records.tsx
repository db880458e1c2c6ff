import { Empty } from '@/ui/empty';

/** Nothing was recorded yet: how to make the first call. */
export function NoRecords({ workspace }: { workspace: string }) {
  const url = `${globalThis.location.origin}/mcp/${workspace}/GATEWAY`;
  return (
    <Empty
      title="No records yet"
      command={`claude mcp add --transport http ostiary ${url} \\\n  --header "Authorization: Bearer $(ostiary token create --app APP)"`}
    >
      A record is the proof of one call or one administrative act. Connect a client to a gateway,
      and its calls appear here as they happen.
    </Empty>
  );
}
