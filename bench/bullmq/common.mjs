// What the producer and the worker share: one queue, one clock.
export const NAME = 'bench'

export const connection = { url: process.env.REDIS_URL, maxRetriesPerRequest: null }

// As the generated service's kinds have it: three attempts, and what is done is gone.
export const options = {
  attempts: 3,
  backoff: { type: 'exponential', delay: 2000 },
  removeOnComplete: true,
}

// CLOCK_MONOTONIC in nanoseconds: the same in all processes of one machine. A double holds it exactly for 104 days
// since boot.
export const now = () => Number(process.hrtime.bigint())

// User and system CPU time of this process, in seconds.
export const cpu = () => {
  const used = process.cpuUsage()
  return (used.user + used.system) / 1e6
}
