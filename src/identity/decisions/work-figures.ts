/** What policies limit of the work of one person. What is absent does not limit. */
export const workFigures = ['cores', 'memoryBytes', 'walltimeMs', 'sessions'] as const
export type WorkFigure = (typeof workFigures)[number]

/** `by`: the group whose ceiling each figure is. */
export interface WorkLimits extends Partial<Record<WorkFigure, number | undefined>> {
  environments?: string[] | undefined
  by?: Partial<Record<WorkFigure | 'environments', string>> | undefined
}
