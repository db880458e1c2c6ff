import { Button, PasswordInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useRouter, useSearch } from '@tanstack/react-router';
import { useEffect } from 'react';

import { Failure } from '@/api/failure';
import { Code } from '@/ui/code';
import { Mark } from '@/ui/icons';
import { Trouble } from '@/ui/trouble';
import { useSignIn } from './queries';
import classes from './sign-in-page.module.css';

/** Trades the admin token for a cookie. The token itself is kept nowhere. */
export function SignInPage() {
  const { next } = useSearch({ from: '/sign-in' });
  const router = useRouter();
  const signIn = useSignIn();
  const form = useForm({
    initialValues: { token: '' },
    validate: { token: (token) => (token.trim() ? null : 'Paste the admin token') },
  });
  useEffect(() => {
    document.title = 'Sign in · Ostiary';
  }, []);
  const isWrong = signIn.error instanceof Failure && signIn.error.code === 'unauthenticated';

  const submit = form.onSubmit(({ token }) => {
    signIn.mutate(token.trim(), {
      onSuccess: () => router.history.replace(next ?? '/'),
      onError: (error) => {
        if (error instanceof Failure && error.code === 'unauthenticated') {
          form.setFieldError('token', 'This token is not valid: it may be mistyped or revoked');
        }
      },
    });
  });

  return (
    <main className={classes.page} id="main">
      <form className={classes.card} onSubmit={submit} noValidate>
        <div className={classes.brand}>
          <Mark size={30} />
          <span>Ostiary</span>
        </div>
        <h1 className={classes.title}>Sign in</h1>
        <PasswordInput
          label="Admin token"
          placeholder="osta_…"
          autoComplete="off"
          spellCheck={false}
          // The one thing to do on this page.
          // oxlint-disable-next-line jsx-a11y/no-autofocus
          autoFocus
          visibilityToggleButtonProps={{ 'aria-label': 'Show or hide the token' }}
          aria-invalid={form.errors['token'] ? true : undefined}
          {...form.getInputProps('token')}
        />
        {signIn.error && !isWrong && <Trouble what="Signing in failed" error={signIn.error} />}
        <Button type="submit" size="sm" fullWidth loading={signIn.isPending}>
          Sign in
        </Button>
        <div className={classes.help}>
          <p>
            The token was printed once, when this gateway started for the first time. To make
            another, stop it and run:
          </p>
          <Code text="ostiary admin-token --data DIR NAME" what="command" />
        </div>
      </form>
    </main>
  );
}
