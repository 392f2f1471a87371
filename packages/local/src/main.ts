/** The command line `flashsale`: one file a command. */
import { Command } from 'commander';
import { applyCommand } from './commands/apply.ts';
import { deleteCommand } from './commands/delete.ts';
import { downCommand } from './commands/down.ts';
import { getCommand } from './commands/get.ts';
import { kubectlCommand } from './commands/kubectl.ts';
import { lagReplicasCommand } from './commands/lag-replicas.ts';
import { membersCommand } from './commands/members.ts';
import { proofCommand } from './commands/proof.ts';
import { redriveCommand } from './commands/redrive.ts';
import { rushCommand } from './commands/rush.ts';
import { startCommand } from './commands/start.ts';
import { tokensCommand } from './commands/tokens.ts';
import { upCommand } from './commands/up.ts';
import { NotRunningError } from './supervisor/running.ts';
import { UsageError } from './usage-error.ts';

const COMMANDS = [
  startCommand(),
  upCommand(),
  downCommand(),
  applyCommand(),
  getCommand(),
  deleteCommand(),
  rushCommand(),
  proofCommand(),
  tokensCommand(),
  membersCommand(),
  redriveCommand(),
  lagReplicasCommand(),
  kubectlCommand(),
];

const program = new Command('flashsale').description('Flashsale on one machine.').showHelpAfterError();
// What comes after a command's name is the command's: kubectl has options of its own.
program.enablePositionalOptions();
for (const command of COMMANDS) program.addCommand(command);

try {
  await program.parseAsync();
} catch (error) {
  // What the user can put right needs no stack.
  const plain = error instanceof UsageError || error instanceof NotRunningError;
  const text = error instanceof Error ? (plain ? error.message : (error.stack ?? error.message)) : String(error);
  process.stderr.write(`flashsale: ${text}\n`);
  process.exitCode = 1;
}
