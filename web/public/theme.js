// Runs before the first paint, so that a chosen theme never flashes in the system's.
try {
  const theme = localStorage.getItem("zooweeper.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // storage may be refused; the system's theme is then used
}
