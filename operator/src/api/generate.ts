/** Prints the CRD as YAML; scripts/generate.mjs keeps it in operator/config/crd. */
import { stringify } from 'yaml';
import { customResourceDefinition } from './crd.ts';

const HEAD = '# Generated from operator/src/api and operator/src/status.ts by `npm run generate`. Do not edit.\n';
process.stdout.write(HEAD + stringify(customResourceDefinition(), { lineWidth: 0, aliasDuplicateObjects: false }));
