"""Why a request is answered from the cache or not, told by the Worker itself."""
