import { simulationTests } from '../foundation/simulation.ts'

simulationTests({
  name: 'compute',
  scenario: new URL('./simulation-scenario.ts', import.meta.url),
  seeds: 20,
  longSeeds: 3000,
  faultsPerSeed: 6,
  mutants: {
    'a reconciler that trusts a stale heartbeat': {
      onlyLong: true,
      file: 'compute/executor.ts',
      edits: [{ from: 'if (isSameProcess(claim)) {', to: 'if ((await folders.readBeat(folder)) !== undefined) {' }],
    },
    'usage that is measured by a clock that jumps': {
      file: 'compute/executor.ts',
      edits: [{ from: 'endedMs: beat?.atMs ?? claim.claimedMs,', to: 'endedMs: Date.now(),' }],
    },
  },
})
