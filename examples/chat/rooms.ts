/** The rooms there are: a few, so that what strangers write here stays bounded. */
export const ROOMS = ["lobby", "kitchen", "garden"] as const;

/** The name of one. */
export type Room = typeof ROOMS[number];
