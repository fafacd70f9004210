import { simulationTests } from '../foundation/simulation.ts'

simulationTests({
  name: 'ingest',
  scenario: new URL('./simulation-scenario.ts', import.meta.url),
  seeds: 10,
  longSeeds: 3000,
  faultsPerSeed: 5,
  mutants: {
    'a file that was removed and is told again is damaged for ever': {
      firstSeed: 74,
      onlyLong: true,
      file: 'ingest/reports.ts',
      edits: [
        {
          from: '} else if (file.sha256 !== null && given.sha256',
          to: '}\n    if (file != null && file.sha256 !== null && given.sha256',
        },
      ],
    },
    'an agent that says safe before anybody compared': {
      firstSeed: 5,
      file: 'ingest/agent/verify-stored.ts',
      edits: [{ from: 'const told = await askReceiver(options)', to: "const told = 'receiver' as string" }],
    },
    'an agent that waits by the wall clock': {
      onlyLong: true,
      file: 'ingest/agent/agent.ts',
      edits: [
        {
          from: 'file.retryAtMs <= performance.now()',
          to: 'file.retryAtMs + Date.now() <= performance.now() + Date.UTC(2026, 0, 1)',
        },
      ],
    },
  },
})
