/** The import rules, generated from the list of floors. */
import { builtinModules } from 'node:module'
import type { IForbiddenRuleType } from 'dependency-cruiser'
import { rooms } from './rooms.ts'

const nothing = '$a'
/** Folders that only tests enter; the copy of the program that runs is without them. */
const forTests = '/(faults|isolation|simulation)/'

/** A room looks only down. */
const floors = rooms.map((room, floor): IForbiddenRuleType => {
  const above = rooms.slice(floor + 1)
  return {
    name: `${room}-looks-only-down`,
    comment: `${room} may import ${rooms.slice(0, floor).join(', ') || 'no other room'}.`,
    severity: 'error',
    from: { path: `^src/${room}/` },
    to: { path: above.length === 0 ? nothing : `^src/(${above.join('|')})/` },
  }
})

export const importRules: IForbiddenRuleType[] = [
  ...floors,
  {
    name: 'enter-by-the-door',
    comment:
      'Between rooms only index.ts, contract.ts and threads.ts (the small door for worker threads); in foundation each file at its top level is a door.',
    severity: 'error',
    from: { path: '^src/([^/]+)/', pathNot: '^src/shell/' },
    to: {
      path: '^src/[^/]+/',
      pathNot: ['^src/$1/', '^src/[^/]+/(index|contract|threads)\\.ts$', '^src/foundation/[^/]+$'],
    },
  },
  {
    name: 'shell-enters-by-the-door',
    comment:
      'The shell also joins commands.ts, pages/index.ts and gateway.ts (the small door for gateways) of the rooms.',
    severity: 'error',
    from: { path: '^src/shell/' },
    to: {
      path: '^src/[^/]+/',
      pathNot: [
        '^src/shell/',
        // 'testing' is for tests: see testing-is-for-tests.
        '^src/[^/]+/(index|contract|commands|gateway|testing)\\.ts$',
        '^src/[^/]+/pages/index\\.tsx?$',
        '^src/foundation/[^/]+$',
      ],
    },
  },
  {
    name: 'commands-are-for-the-shell',
    severity: 'error',
    from: {
      path: '^src/([^/]+)/',
      pathNot: ['^src/shell/', '^src/[^/]+/index\\.ts$', 'commands\\.test\\.ts$'],
    },
    to: { path: '^src/[^/]+/commands\\.ts$' },
  },
  {
    name: 'pages-are-for-the-web-app',
    severity: 'error',
    from: { pathNot: ['^src/shell/web/', '^src/[^/]+/pages/'] },
    to: { path: '^src/[^/]+/pages/' },
  },
  {
    name: 'pages-run-in-browsers',
    comment: 'Pages import contracts, foundation/browser*, npm packages and pages of their own room.',
    severity: 'error',
    from: { path: '^src/([^/]+)/pages/', pathNot: '\\.test\\.tsx?$' },
    to: {
      path: '^src/',
      pathNot: [
        '^src/$1/pages/',
        '^src/[^/]+/contract\\.ts$',
        '^src/$1/[^/]+/contract\\.ts$',
        '^src/foundation/browser[^/]*$',
      ],
    },
  },
  {
    name: 'web-app-runs-in-browsers',
    severity: 'error',
    from: { path: '^src/shell/web/', pathNot: '\\.test\\.tsx?$' },
    to: {
      path: '^src/',
      pathNot: [
        '^src/shell/web/',
        '^src/[^/]+/contract\\.ts$',
        '^src/[^/]+/pages/index\\.tsx?$',
        '^src/foundation/(browser[^/]*|contract\\.ts|errors\\.ts|client\\.ts|time\\.ts)$',
      ],
    },
  },
  {
    name: 'browser-code-knows-no-node',
    comment: 'Neither itself nor through what it imports.',
    severity: 'error',
    from: {
      path: '^src/([^/]+/pages/|shell/web/|foundation/browser|foundation/(contract|errors|client|time)\\.ts$|[^/]+/contract\\.ts$)',
      pathNot: '\\.test\\.tsx?$',
    },
    to: { path: `^(node:.+|(${builtinModules.join('|')}))$`, reachable: true },
  },
  {
    name: 'contracts-stand-on-contracts',
    comment:
      'A contract imports zod, foundation/contract.ts, contracts of lower rooms and browser-safe files of its own.',
    severity: 'error',
    from: { path: '^src/(?!foundation/)([^/]+)/contract\\.ts$' },
    to: { path: '^src/', pathNot: ['^src/[^/]+/contract\\.ts$', '^src/$1/'] },
  },
  {
    name: 'black-box-tests-see-no-source',
    comment: 'They may start a PostgreSQL server the way the unit tests do; that is no part of the product.',
    severity: 'error',
    from: { path: '^e2e/' },
    to: { path: '^src/', pathNot: '^src/foundation/adapters/test-postgres' },
  },
  {
    name: 'testing-is-for-tests',
    severity: 'error',
    from: {
      path: '^src/',
      pathNot: [
        '\\.test\\.tsx?$',
        '\\.contract\\.ts$',
        '(^|/)test-[^/]+\\.ts$',
        '(^|/)sample-[^/]+\\.ts$',
        'testing[^/]*\\.ts$',
        forTests,
      ],
    },
    to: { path: ['^src/[^/]+/testing\\.ts$', '^src/foundation/adapters/test-'] },
  },
  {
    name: 'no-cycles',
    severity: 'error',
    from: {},
    to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only', 'type-import'] } },
  },
  {
    name: 'everything-is-there',
    severity: 'error',
    from: {},
    to: { couldNotResolve: true },
  },
  {
    name: 'only-declared-packages',
    severity: 'error',
    from: { path: '^src/' },
    to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
  },
  {
    name: 'the-program-needs-no-tools',
    comment: 'Installed without development packages, the program runs (web app and tests aside).',
    severity: 'error',
    from: {
      path: '^src/',
      pathNot: [
        '\\.test\\.tsx?$',
        'testing',
        '/test-',
        forTests,
        '^src/shell/web/',
        '/pages/',
        '^src/foundation/browser',
      ],
    },
    to: { dependencyTypes: ['npm-dev'] },
  },
]
