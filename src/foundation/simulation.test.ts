import { simulationTests } from './simulation.ts'

simulationTests({
  name: 'foundation',
  scenario: new URL('./simulation/facts-and-jobs-scenario.ts', import.meta.url),
  seeds: 40,
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
      file: 'foundation/jobs.ts',
      edits: [{ from: ".where('worker', '=', worker)\n      .where('attempts', '=', job.attempts)", to: '' }],
    },
  },
})
