@echo off
rem Finds a Python and hands over to workbench\launch.py, which run.sh uses too.
rem WORKBENCH_PYTHON names the Python that .venv is to be made with.
setlocal
set "WB_LAUNCH=%~dp0workbench\launch.py"
set "WB_VENV=%~dp0.venv"
set "WB_GOOD="
set "WB_NEWER="
set "WB_WHY=no Python was found"
set "WORKBENCH_COMMAND=%~0"

if defined WORKBENCH_PYTHON goto given
if not exist "%WB_VENV%\Scripts\python.exe" goto search
"%WB_VENV%\Scripts\python.exe" -I "%WB_LAUNCH%" %*
rem 103: .venv has to be set up by another Python, or its own is gone
if not %errorlevel%==103 exit /b %errorlevel%

:search
for %%P in ("py -3" "py -3.14" "py -3.13" "py -3.12" "py -3.11" "py -3.10" python3 python) do call :look %%~P
if not defined WB_GOOD set "WB_GOOD=%WB_NEWER%"
if not defined WB_GOOD goto refuse
%WB_GOOD% -I "%WB_LAUNCH%" %*
exit /b %errorlevel%

:given
call :probe "%WORKBENCH_PYTHON%"
set "WB_CODE=%errorlevel%"
set "WB_WHY=WORKBENCH_PYTHON names no Python that starts"
if %WB_CODE%==203 set "WB_WHY=the Python that WORKBENCH_PYTHON names is too old"
if %WB_CODE%==0 set "WB_WHY="
if %WB_CODE%==204 set "WB_WHY="
if %WB_CODE%==205 set "WB_WHY="
if defined WB_WHY goto refuse
"%WORKBENCH_PYTHON%" -I "%WB_LAUNCH%" %*
if not %errorlevel%==103 exit /b %errorlevel%
set "WB_WHY=WORKBENCH_PYTHON names the Python of .venv, which cannot make .venv anew"

:refuse
echo set-up: %WB_WHY%; 64-bit Python 3.10 or newer is needed: https://www.python.org/downloads/ 1>&2
exit /b 1

:look
rem the words are a command; the first good one is remembered, else the first newer one, else what is wrong
if defined WB_GOOD exit /b 0
call :probe %*
set "WB_CODE=%errorlevel%"
if %WB_CODE%==0 set "WB_GOOD=%*"
if %WB_CODE%==203 set "WB_WHY=the Python here is too old"
if %WB_CODE%==205 set "WB_WHY=the Python of .venv cannot make .venv anew, and no other was found"
if not %WB_CODE%==204 exit /b 0
if not defined WB_NEWER set "WB_NEWER=%*"
exit /b 0

:probe
rem exit code 0: 3.10 to 3.14, tested; 204: newer; 203: too old; 205: the one in .venv; anything else: no Python
%* -c "import os, sys; v = sys.hexversion // 65536; own = os.path.realpath(sys.prefix).lower() == os.path.realpath(os.environ['WB_VENV']).lower(); sys.exit(205 if own else 0 if v in range(778, 783) else 204 if v in range(783, 9999) else 203)" >nul 2>nul
exit /b %errorlevel%
