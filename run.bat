@echo off
rem Finds a Python and hands over to workbench\launch.py, which run.sh uses too.
rem WORKBENCH_PYTHON names the Python that .venv is to be made with.
setlocal
set "WB_LAUNCH=%~dp0workbench\launch.py"
set "WB_VENV=%~dp0.venv\Scripts\python.exe"
set "WB_OLD="
set "WORKBENCH_COMMAND=run.bat"

if defined WORKBENCH_PYTHON goto given
if not exist "%WB_VENV%" goto search
"%WB_VENV%" -I "%WB_LAUNCH%" %*
rem 103: .venv has to be set up by another Python, or its own is gone
if not %errorlevel%==103 exit /b %errorlevel%

:search
call :try py -3
if %errorlevel%==0 goto py
call :try python3
if %errorlevel%==0 goto python3
call :try python
if %errorlevel%==0 goto python
if defined WB_OLD goto old
echo set-up: no Python was found; 64-bit Python 3.10 or newer is needed: https://www.python.org/downloads/ 1>&2
exit /b 1

:py
py -3 -I "%WB_LAUNCH%" %*
exit /b %errorlevel%

:python3
python3 -I "%WB_LAUNCH%" %*
exit /b %errorlevel%

:python
python -I "%WB_LAUNCH%" %*
exit /b %errorlevel%

:given
"%WORKBENCH_PYTHON%" -I "%WB_LAUNCH%" %*
exit /b %errorlevel%

:old
echo set-up: the Python here is too old; 64-bit Python 3.10 or newer is needed: https://www.python.org/downloads/ 1>&2
exit /b 1

:try
rem the words are a command; the answer is its exit code: 0 good, 3 too old, anything else no Python
%* -c "import sys; sys.exit(0 if sys.hexversion // 65536 in range(778, 9999) else 3)" >nul 2>nul
if %errorlevel%==0 exit /b 0
if %errorlevel%==3 set "WB_OLD=1"
exit /b 1
