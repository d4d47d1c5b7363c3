# The libcurl of the static build, for `cmake -C`: HTTP and HTTPS, and what tug sets through it. Debian's libcurl has much more, and
# its archive needs shared libraries (Kerberos, LDAP, ...).
macro(curl name value)
  set(${name} ${value} CACHE STRING "")
endmacro()

curl(CMAKE_BUILD_TYPE Release)
curl(CMAKE_C_FLAGS "-Os -DNDEBUG -fPIE -ffunction-sections -fdata-sections -fstack-protector-strong -fcf-protection -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2")
curl(CMAKE_C_FLAGS_RELEASE "")
curl(CMAKE_INSTALL_LIBDIR lib)
curl(BUILD_SHARED_LIBS OFF)
curl(BUILD_CURL_EXE OFF)
curl(BUILD_TESTING OFF)

curl(HTTP_ONLY ON)
curl(CURL_USE_OPENSSL ON)
# glibc's resolver loads shared libraries at run time (nsswitch.conf(5)); c-ares reads /etc/hosts and /etc/resolv.conf itself.
curl(ENABLE_ARES ON)
# src/http/trust_store.cc finds the CAs: which files this machine has says nothing about where the program will run.
curl(CURL_CA_BUNDLE none)
curl(CURL_CA_PATH none)

# Unused; netrc would ask for home directories by getpwuid(), which loads shared libraries as well.
foreach(feature ALTSVC COOKIES CRYPTO_AUTH DOH GETOPTIONS HSTS MIME NETRC NTLM PROGRESS_METER VERBOSE_STRINGS)
  curl(CURL_DISABLE_${feature} ON)
endforeach()
foreach(library BROTLI USE_GSSAPI USE_LIBPSL USE_LIBSSH USE_LIBSSH2 ZSTD)
  curl(CURL_${library} OFF)
endforeach()
curl(USE_LIBIDN2 OFF)
