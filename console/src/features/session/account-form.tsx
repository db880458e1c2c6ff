import { Button, PasswordInput, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';

import { Trouble } from '@/ui/trouble';
import { formClass } from './card';
import { useSignIn } from './queries';
import { isRefused } from './refused';

interface Props {
  workspace: string;
  onDone: () => void;
}

/** Signs in with the name and the password of an account. */
export function AccountForm({ workspace, onDone }: Props) {
  const signIn = useSignIn();
  const form = useForm({
    initialValues: { workspace, name: '', password: '' },
    validate: {
      name: (name) => (name.trim() ? null : 'Enter your name'),
      password: (password) => (password ? null : 'Enter your password'),
    },
  });
  const submit = form.onSubmit(({ workspace, name, password }) => {
    const where = workspace.trim() ? { workspace: workspace.trim() } : {};
    signIn.mutate(
      { by: 'password', name: name.trim(), password, ...where },
      {
        onSuccess: onDone,
        onError: (error) => {
          if (isRefused(error)) {
            form.setFieldError('password', 'Workspace, name or password is wrong');
          }
        },
      },
    );
  });
  return (
    <form className={formClass} onSubmit={submit} noValidate>
      <TextInput
        label="Workspace"
        description="Leave it empty if you administer the installation."
        autoComplete="organization"
        spellCheck={false}
        {...form.getInputProps('workspace')}
      />
      <TextInput
        label="Name"
        autoComplete="username webauthn"
        spellCheck={false}
        {...form.getInputProps('name')}
      />
      <PasswordInput
        label="Password"
        autoComplete="current-password"
        visibilityToggleButtonProps={{ 'aria-label': 'Show or hide the password' }}
        aria-invalid={form.errors['password'] ? true : undefined}
        {...form.getInputProps('password')}
      />
      {signIn.error && !isRefused(signIn.error) && (
        <Trouble what="Signing in failed" error={signIn.error} />
      )}
      <Button type="submit" size="sm" fullWidth loading={signIn.isPending}>
        Sign in
      </Button>
    </form>
  );
}
