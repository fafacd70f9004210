import { simulationTests } from '../foundation/simulation.ts'

simulationTests({
  name: 'ingest',
  scenario: new URL('./simulation-scenario.ts', import.meta.url),
  seeds: 20,
  faultsPerSeed: 5,
  mutants: {
    'an agent that says safe before anybody compared': {
      file: 'ingest/agent/verify-stored.ts',
      edits: [{ from: 'const told = await askReceiver(options)', to: "const told = 'receiver' as string" }],
    },
    'an agent that waits by the wall clock': {
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
