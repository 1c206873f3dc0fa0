/** vinext leaves this file alone, because the Vite configuration has `nextConfig`. */
export default { basePath: "/wrong", redirects: () => [{ source: "/:path*", destination: "https://wrong.example", permanent: true }] };
