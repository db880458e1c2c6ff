import { Button, SegmentedControl, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useQueryClient } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useState } from 'react';

import { namesQuery } from '@/features/objects/nouns';
import { Trouble } from '@/ui/trouble';
import { Card, formClass } from './card';
import { checkPassword, NewPasswordInput } from './new-password';
import { passkeyTrouble } from './passkeys';
import { useSetUp } from './queries';
import { isRefused } from './refused';
import { TokenHelp, TokenInput } from './token-form';

/** Every installation begins with it. */
const WORKSPACE = 'default';

/** From the token in the log to an account that administers the installation. */
export function SetUpPage() {
  const { step } = useSearch({ from: '/set-up' });
  const navigate = useNavigate({ from: '/set-up' });
  const queries = useQueryClient();
  const setUp = useSetUp();
  const trouble = passkeyTrouble();
  const [way, setWay] = useState<'passkey' | 'password'>(trouble ? 'password' : 'passkey');
  // The token is kept nowhere, so whoever comes back later begins with it.
  const isAfter = (token: string) => step === 'account' && token.trim() !== '';
  const form = useForm({
    initialValues: { token: '', name: '', password: '' },
    validate: (values) => ({
      token: values.token.trim() ? null : 'Paste the token that the log shows',
      ...(isAfter(values.token) && {
        name: values.name.trim() ? null : 'Choose a name',
        password: way === 'password' ? checkPassword(values.password) : null,
      }),
    }),
  });
  const isSecond = isAfter(form.values.token);
  // Whoever sets up an empty installation is led on.
  const goOn = async () => {
    const { names } = await queries.fetchQuery(namesQuery(WORKSPACE, 'servers'));
    const to = names.length > 0 ? '/' : '/workspaces/$workspace/start';
    await navigate({ to, params: { workspace: WORKSPACE }, replace: true });
  };
  const submit = form.onSubmit(({ token, name, password }) => {
    if (!isSecond) {
      void navigate({ search: { step: 'account' } });
      return;
    }
    setUp.mutate(
      {
        token: token.trim(),
        name: name.trim(),
        ...(way === 'password' && { password }),
      },
      {
        onSuccess: () => void goOn(),
        onError: (error) => {
          if (!isRefused(error)) return;
          form.setFieldError('token', 'This token is not valid: it may be mistyped or revoked');
          void navigate({ search: {} });
        },
      },
    );
  });
  return (
    <Card title="Set up">
      <form className={formClass} onSubmit={submit} noValidate>
        <p>
          Step {isSecond ? 2 : 1} of 2: {isSecond ? 'your account' : 'the token from the log'}
        </p>
        {isSecond ? (
          <>
            <TextInput
              label="Name"
              description="Lower-case letters, digits and dashes. It administers the installation."
              autoComplete="username"
              spellCheck={false}
              {...form.getInputProps('name')}
            />
            <SegmentedControl
              aria-label="Sign in with"
              value={way}
              onChange={(value) => setWay(value === 'password' ? value : 'passkey')}
              transitionDuration={0}
              data={[
                { value: 'passkey', label: 'Passkey', disabled: trouble !== null },
                { value: 'password', label: 'Password' },
              ]}
            />
            {trouble && <p>{trouble}</p>}
            {way === 'password' && <NewPasswordInput {...form.getInputProps('password')} />}
          </>
        ) : (
          <TokenInput hasError={Boolean(form.errors['token'])} {...form.getInputProps('token')} />
        )}
        {setUp.error && !isRefused(setUp.error) && (
          <Trouble what="No account was made" error={setUp.error} />
        )}
        <Button type="submit" size="sm" fullWidth loading={setUp.isPending}>
          {isSecond ? 'Make the account' : 'Continue'}
        </Button>
      </form>
      {!isSecond && <TokenHelp />}
    </Card>
  );
}
