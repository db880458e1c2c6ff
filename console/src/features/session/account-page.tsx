import { Button } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';

import { Failure } from '@/api/failure';
import { Ago } from '@/ui/time';
import { Trouble } from '@/ui/trouble';
import { Card, formClass, Help } from './card';
import { checkPassword, NewPasswordInput } from './new-password';
import { Passkeys } from './passkey-list';
import { Sessions } from './session-list';
import { accountQuery, sessionQuery, useSetPassword } from './queries';

/** How one signs in oneself. */
export function AccountPage() {
  const { data: session } = useQuery(sessionQuery);
  const isAbove = session && !session.user && !session.account;
  const enabled = session !== undefined && !isAbove;
  const account = useQuery({ ...accountQuery, retry: false, enabled });
  const hasNone = account.error instanceof Failure && account.error.code === 'not_found';
  return (
    <Card title="Your account">
      {account.error && !hasNone && (
        <Trouble what="The account could not be loaded" error={account.error} />
      )}
      {isAbove ? (
        <p>You are signed in with an admin token of the installation, which has no account.</p>
      ) : (
        <>
          <p>
            <strong>{account.data?.name ?? session?.user?.name ?? session?.name}</strong>
            {account.data?.password_set_at && (
              <>
                {' '}
                got its password <Ago at={account.data.password_set_at} />
              </>
            )}
          </p>
          <PasswordForm />
          <Passkeys account={account.data} />
          {session?.account && <Sessions />}
        </>
      )}
      <Help>
        <Link to="/">Back to the console</Link>
      </Help>
    </Card>
  );
}

function PasswordForm() {
  const set = useSetPassword();
  const form = useForm({
    initialValues: { password: '' },
    validate: { password: checkPassword },
  });
  const submit = form.onSubmit(({ password }) =>
    set.mutate(password, { onSuccess: () => form.reset() }),
  );
  return (
    <form className={formClass} onSubmit={submit} noValidate>
      <NewPasswordInput {...form.getInputProps('password')} />
      {set.error && <Trouble what="The password was not set" error={set.error} />}
      {set.isSuccess && <p role="status">The password is set. Your other sessions have ended.</p>}
      <Button type="submit" loading={set.isPending}>
        Set password
      </Button>
    </form>
  );
}
