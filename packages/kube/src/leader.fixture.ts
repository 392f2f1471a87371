/** A process that stands for election and writes a line each time it acts as the leader: its token and when (ns). */
import { createKubeClient, KubeConfig } from './client.ts';
import { Elector } from './elector.ts';
import { LEASES, type Lease } from './lease.ts';
import { silent } from './world.fixture.ts';

const [kubeconfig = '', namespace = '', identity = '', leaseMs = ''] = process.argv.slice(2);
const ACT_MS = 5;

const config = new KubeConfig();
config.loadFromFile(kubeconfig);
const client = createKubeClient({ config, fieldManager: identity, deadlineMs: 1000 });
const unit = Number(leaseMs) / 15;
const say = (line: string): boolean => process.stdout.write(`${line}\n`);
const elector = new Elector({
  lease: { name: 'leader', namespace },
  identity,
  api: client.resource<Lease>(LEASES),
  log: silent,
  timing: { leaseMs: 15 * unit, renewDeadlineMs: 10 * unit, retryMs: 2 * unit },
  onLeading: ({ token, holds }) => {
    say(`leading ${token}`);
    setInterval(() => {
      // The clock is the machine's own: the lines of all processes are on one scale.
      if (holds()) say(`act ${token} ${process.hrtime.bigint()}`);
    }, ACT_MS);
  },
  onLost: (reason) => {
    say(`lost ${reason}`);
    process.exit(1);
  },
});
process.once('SIGTERM', () => {
  void elector.stop().then(() => process.exit(0));
});
await elector.start();
say('standing');
