import { ThingsPage } from '@/features/objects/things-page';
import { IDENTITIES } from './room';

/** The credentials for servers, without their values. */
export function IdentitiesPage() {
  return <ThingsPage room={IDENTITIES} />;
}
