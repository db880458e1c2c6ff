import { ThingsPage } from '@/features/objects/things-page';
import { APPS } from './room';

/** The agents and clients of a workspace: each has an owner and a purpose. */
export function AppsPage() {
  return <ThingsPage room={APPS} />;
}
