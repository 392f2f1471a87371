// Type-aware lint with the size caps and import borders of the project.
import tseslint from 'typescript-eslint';

/** Vendors that only packages/platform may import, so that each stays behind its port. */
const VENDORS = [
  'ioredis',
  'kafkajs',
  '@prisma/*',
  'pg',
  'openid-client',
  'jose',
  'redlock',
  'fast-jwt',
  'express',
  'prom-client',
  'pino',
];
/** The Kubernetes client stays behind packages/kube. */
const kubeVendors = { group: ['@kubernetes/client-node'], message: 'Import it through packages/kube.' };
const border = (patterns) => ({ 'no-restricted-imports': ['error', { patterns }] });
const vendors = { group: VENDORS, message: 'Import it through packages/platform.' };
const local = {
  group: ['local', 'simulation'].flatMap((name) => [`@flashsale/${name}`, `@flashsale/${name}/*`]),
  message: 'packages/local is for one machine, packages/simulation for tests: production code imports neither.',
};
const upward = (names) => ({
  group: names.flatMap((n) => [`@flashsale/${n}`, `@flashsale/${n}/*`]),
  message: 'Dependencies go services, operator -> kube, platform -> sale.',
});
const SERVICES = [
  'catalog',
  'checkout',
  'payments',
  'orders',
  'live',
  'identity',
  'storefront',
  'operator',
  'loadtest',
];

export default tseslint.config(
  { ignores: ['**/node_modules/', 'coverage/', '**/generated/', '.flashsale/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      complexity: ['error', 10],
      'max-depth': ['error', 3],
      'max-lines': ['error', 450],
      'max-lines-per-function': ['error', { max: 80, skipComments: true, skipBlankLines: true }],
      'max-params': ['error', 5],
      'no-console': 'error',
      eqeqeq: 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { ignoreRestSiblings: true }],
    },
  },
  {
    files: ['**/*.test.ts', '**/*.contract.ts'],
    rules: {
      'max-lines-per-function': 'off',
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            {
              from: 'package',
              package: 'node:test',
              name: ['test', 'it', 'describe', 'suite', 'before', 'after', 'beforeEach', 'afterEach'],
            },
          ],
        },
      ],
    },
  },
  {
    files: ['packages/sale/src/**/*.ts'],
    ignores: ['**/*.test.ts', '**/*.contract.ts'],
    rules: border([{ regex: '^(?!\.\.?/)', message: 'The domain imports nothing outside itself.' }]),
  },
  {
    files: ['packages/platform/src/**/*.ts'],
    ignores: ['**/*.test.ts'],
    rules: border([kubeVendors, upward(['local', 'simulation', 'kube', ...SERVICES])]),
  },
  {
    files: ['packages/kube/src/**/*.ts'],
    ignores: ['**/*.test.ts', '**/*.fixture.ts'],
    rules: border([
      vendors,
      upward(['local', 'simulation', 'sale', ...SERVICES]),
      {
        regex: '^@flashsale/platform/(?!(metrics|log)$)',
        message: 'The engine is for others too: of the platform it uses logs and metrics alone.',
      },
    ]),
  },
  {
    files: ['services/**/*.ts', 'operator/**/*.ts'],
    ignores: ['**/*.test.ts', '**/*.fixture.ts'],
    rules: border([vendors, kubeVendors, local, upward(SERVICES)]),
  },
  {
    files: ['packages/local/**/*.ts', 'loadtest/**/*.ts'],
    ignores: ['**/*.test.ts'],
    rules: { 'no-console': 'off', ...border([kubeVendors]) },
  },
);
