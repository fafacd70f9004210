/**
 * For tests only: histories of the real rooms in a simulated world of clocks, disks, networks, deaths and power cuts,
 * each decided by a seed. See `simulation/world.ts`; a room's scenario is `src/<room>/simulation-scenario.ts`.
 */
export { reportOf, runCampaign, runSeeds, type Campaign, type CampaignResult } from './simulation/campaign.ts'
export { disturb, type Disturbances } from './simulation/disturbances.ts'
export { contentOf } from './simulation/databases.ts'
export { simulationTests } from './simulation/declare-tests.ts'
export type { SimulatedAnswer, SimulatedRequest } from './simulation/network.ts'
export type { Mutant, Outcome, Scenario, SeedResult, Simulation } from './simulation/simulation.ts'
export { beginMs, type Machine, type SimulatedProcess, type World } from './simulation/world.ts'
