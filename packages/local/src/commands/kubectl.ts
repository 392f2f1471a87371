/** `flashsale kubectl`: kubectl on the API server of the running platform. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Command } from 'commander';
import { ensureKube } from '../servers/kube-build.ts';
import { requireRunning } from '../supervisor/running.ts';
import { UsageError } from '../usage-error.ts';

export function kubectlCommand(): Command {
  return new Command('kubectl')
    .description('kubectl, on the API server of a platform with Kubernetes')
    .argument('[arguments...]')
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .action(async (args: string[]) => {
      const { kubeconfig } = await requireRunning();
      if (kubeconfig === undefined) {
        throw new UsageError('the platform runs without Kubernetes: start it with `npx flashsale up --kubernetes`');
      }
      const env = { ...process.env, KUBECONFIG: kubeconfig };
      const child = spawn(await ensureKube(), ['kubectl', ...args], { env, stdio: 'inherit' });
      const [code] = (await once(child, 'exit')) as [number | null];
      process.exitCode = code ?? 1;
    });
}
