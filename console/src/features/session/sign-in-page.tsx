import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link, useRouter, useSearch } from '@tanstack/react-router';

import { AccountForm } from './account-form';
import { Card, Help } from './card';
import { PasskeyButton } from './passkey-button';
import { signInOptionsQuery } from './queries';
import { TokenForm } from './token-form';

/** The ways in: an account, or a token for those who have none. */
export function SignInPage() {
  const { next, with: way, workspace } = useSearch({ from: '/sign-in' });
  const router = useRouter();
  const options = useQuery(signInOptionsQuery);
  const enter = () => router.history.replace(next ?? '/');
  if (way === 'token') {
    return (
      <Card title="Sign in">
        <TokenForm onDone={enter} />
        <Help>
          <Link to="/sign-in" search={{ next, workspace }}>
            Use an account
          </Link>
        </Help>
      </Card>
    );
  }
  return (
    <Card title="Sign in">
      {options.data?.set_up && (
        <Button variant="light" fullWidth onClick={() => void router.navigate({ to: '/set-up' })}>
          Set up this installation
        </Button>
      )}
      <PasskeyButton onDone={enter} />
      <AccountForm workspace={workspace ?? ''} onDone={enter} />
      <Help>
        <Link to="/sign-in" search={{ next, with: 'token' }}>
          Use a token
        </Link>
      </Help>
    </Card>
  );
}
