export const load = () => ({ text: "open to all" });
