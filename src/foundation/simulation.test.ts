import { simulationTests } from './simulation.ts'

simulationTests({
  name: 'foundation',
  scenario: new URL('./simulation/facts-and-jobs-scenario.ts', import.meta.url),
  seeds: 30,
  longSeeds: 4000,
  faultsPerSeed: 4,
  mutants: {
    'a cursor that is committed before the effect': {
      file: 'foundation/facts.ts',
      edits: [
        {
          from: 'await transact(database, async (trx) => {\n        await this.#handler(fact, trx)',
          to: "await own(kysely as never).updateTable('fact_cursor').set({ sequence: fact.sequence }).where('name', '=', this.name).execute()\n      await transact(database, async (trx) => {\n        await this.#handler(fact, trx)",
        },
        { from: 'if (moved.numUpdatedRows !== 1n) throw', to: 'if (moved.numUpdatedRows > 1n) throw' },
      ],
    },
    'leases without a fence': {
      firstSeed: 33,
      file: 'foundation/jobs.ts',
      edits: [{ from: ".where('worker', '=', worker)\n      .where('attempts', '=', job.attempts)", to: '' }],
    },
  },
})
