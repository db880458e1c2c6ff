import { Button, PasswordInput } from '@mantine/core';
import { useForm } from '@mantine/form';

import { Code } from '@/ui/code';
import { Trouble } from '@/ui/trouble';
import { formClass, Help } from './card';
import { useSignIn } from './queries';
import { isRefused } from './refused';

/** Trades the admin token for a cookie. The token itself is kept nowhere. */
export function TokenForm({ onDone }: { onDone: () => void }) {
  const signIn = useSignIn();
  const form = useForm({
    initialValues: { token: '' },
    validate: { token: (token) => (token.trim() ? null : 'Paste the admin token') },
  });
  const submit = form.onSubmit(({ token }) => {
    signIn.mutate(
      { by: 'token', token: token.trim() },
      {
        onSuccess: onDone,
        onError: (error) => {
          if (isRefused(error)) {
            form.setFieldError('token', 'This token is not valid: it may be mistyped or revoked');
          }
        },
      },
    );
  });
  return (
    <>
      <form className={formClass} onSubmit={submit} noValidate>
        <TokenInput hasError={Boolean(form.errors['token'])} {...form.getInputProps('token')} />
        {signIn.error && !isRefused(signIn.error) && (
          <Trouble what="Signing in failed" error={signIn.error} />
        )}
        <Button type="submit" size="sm" fullWidth loading={signIn.isPending}>
          Sign in
        </Button>
      </form>
      <TokenHelp />
    </>
  );
}

type InputProps = Omit<React.ComponentProps<typeof PasswordInput>, 'label'>;

export function TokenInput({ hasError, ...props }: InputProps & { hasError: boolean }) {
  return (
    <PasswordInput
      label="Admin token"
      placeholder="osta_…"
      autoComplete="off"
      spellCheck={false}
      // The one thing to do here.
      // oxlint-disable-next-line jsx-a11y/no-autofocus
      autoFocus
      visibilityToggleButtonProps={{ 'aria-label': 'Show or hide the token' }}
      aria-invalid={hasError ? true : undefined}
      {...props}
    />
  );
}

/** Where the token is to be found. */
export function TokenHelp() {
  return (
    <Help>
      <p>
        The token was printed once, when this gateway started for the first time. To make another,
        stop it and run:
      </p>
      <Code text="ostiary admin-token --data DIR NAME" what="command" />
    </Help>
  );
}
