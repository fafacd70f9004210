/** Rows of groups. Groups are archived and never deleted, so that no name and no gid is given twice. */
export interface GroupTables {
  identity_group: {
    /** '/cygno/analysis'; of an experiment itself '/cygno'. */
    path: string
    experiment: string
    title: string
    optional: number
    /** Archived with it: everything below. */
    archived: number
    /** Below the root; the root has the experiment's pair. */
    gid: number | null
    created_at_ms: number
    created_by: string
  }
  /** Several rows of one person and group: several sources, or roles given one by one. */
  identity_membership: {
    person_id: string
    group_path: string
    role: string
    /** 'direct', 'template', 'import:<rule>', 'invitation:<id>'. */
    source: string
    until_ms: number | null
    granted_by: string
    /** Of the last giving: policies count days of membership from here. */
    granted_at_ms: number
  }
  /** Only ever added to. A group without a row has version 0, which cuts nothing. */
  identity_policy: {
    group_path: string
    version: number
    document: string
    author_id: string
    author_name: string
    at_ms: number
    note: string
  }
}
