"""How programs call the entries of a calibration, folded (see `lens_models.fold`): data alone."""

from __future__ import annotations

import re

WIDTH = ('width', 'imagewidth', 'w', 'imgwidth', 'imwidth', 'resolutionx', 'ncols')
HEIGHT = ('height', 'imageheight', 'h', 'imgheight', 'imheight', 'resolutiony', 'nrows')
SIZE = ('resolution', 'imagesize', 'size', 'imgsize', 'imagedimensions', 'imageresolution')
FX = ('fx', 'flx', 'fu', 'focallengthx', 'focalx', 'mu', 'gamma1', 'alphax')
FY = ('fy', 'fly', 'fv', 'focallengthy', 'focaly', 'mv', 'gamma2', 'alphay')
CX = ('cx', 'ppx', 'cu', 'u0', 'principalpointx', 'principalx')
CY = ('cy', 'ppy', 'cv', 'v0', 'principalpointy', 'principaly')
FOCAL = ('f', 'focallength', 'focal', 'focallengths', 'fc')
CENTER = ('principalpoint', 'cc', 'opticalcenter', 'pp')
SKEW = ('skew', 'shear')
MATRIX = (
    *('cameramatrix', 'k', 'intrinsicmatrix', 'mtx', 'intrinsics', 'intrinsic', 'kmatrix'),
    *('cameraintrinsics', 'intrinsicparameters', 'cameraintrinsic', 'm', 'calibrationmatrix'),
    *('m1', 'm2', 'cameramatrix1', 'cameramatrix2', 'matk', 'projectionparameters'),
)
COEFFICIENTS = (
    *('distortion', 'distortioncoefficients', 'distortioncoeffs', 'distortioncoefs'),
    *('distcoeffs', 'distcoeff', 'distcoefs', 'distcoef', 'dist', 'd', 'coeffs', 'coefficients'),
    *('distcoefficients', 'distortionparameters', 'distortionparams', 'distortionvector', 'kc'),
    *('distortioncoeff', 'distortioncoef', 'distortioncoefficient', 'dcoeffs', 'distparams'),
    *('distortions', 'lensdistortion', 'd1', 'd2', 'distcoeffs1', 'distcoeffs2', 'matd', 'params'),
)
RADIAL = ('radialdistortion', 'radial', 'radialcoefficients', 'radialdistortioncoefficients')
TANGENTIAL = ('tangentialdistortion', 'tangential', 'tangentialdistortioncoefficients')
DISTORTION_MODEL = (
    *('distortionmodel', 'distortiontype', 'distmodel', 'distortionname', 'modeldistortion'),
    'lensdistortionmodel',
)
PROJECTION_MODEL = (
    *('cameramodel', 'modeltype', 'cameratype', 'model', 'projectiontype', 'projection', 'type'),
    *('projectionmodel', 'lensmodel', 'lens', 'lenstype', 'cameraprojection', 'cammodel'),
)
FISHEYE = ('isfisheye', 'fisheyemodel', 'fisheye', 'usefisheye')
# In OpenCV's order.
KEYED = (
    *('k1', 'k2', 'p1', 'p2', 'k3', 'k4', 'k5', 'k6', 's1', 's2', 's3', 's4'),
    *('tx', 'ty'),
)
KEYED_ALSO = {'tx': ('taux',), 'ty': ('tauy',)}
MIRROR = ('xi', 'mirror')

# Entries that hold further ones of the same camera.
INNER = {
    *('projectionparameters', 'distortionparameters', 'mirrorparameters', 'intrinsics'),
    *('size', 'intrinsic', 'cameraintrinsics', 'intrinsicparameters', 'distortion'),
    *('resolution', 'distortioncoefficients', 'distcoeffs', 'distortioncoeffs'),
    *('imagesize', 'parameters', 'cameramatrix', 'k', 'params', 'principalpoint'),
    *('focallength', 'calibration', 'coeffs', 'coefficients'),
}
SAY_LITTLE = {'type', 'model', 'name', 'parameters', 'params', 'data', 'coefficients', 'coeffs'}

# Entries that say nothing of how rays become pixels of the image as it is.
HARMLESS = {
    *('header', 'frameid', 'childframeid', 'stamp', 'timestamp', 'seq', 'sec', 'nanosec'),
    *('secs', 'nsecs', 'name', 'cameraname', 'cameraid', 'camid', 'id', 'label', 'vendor'),
    *('make', 'comment', 'comments', 'note', 'notes', 'description', 'date', 'time'),
    *('author', 'license', 'source', 'rectificationmatrix', 'rectification'),
    *('projectionmatrix', 'newcameramatrix'),
    *('optimalcameramatrix', 'optimalnewcameramatrix', 'roi1', 'roi2', 'rostopic', 'topic'),
    *('camoverlaps', 'overlaps', 'imu', 'timeshiftcamimu', 'ratehz', 'rate', 'fps'),
    *('framerate', 'sensortype', 'sensor', 'sensorid', 'sensorwidth', 'sensorheight'),
    *('calibrationtime', 'calibrationdate', 'nrofframes', 'nframes', 'numframes'),
    *('nimages', 'numimages', 'boardwidth', 'boardheight', 'boardsize', 'squaresize'),
    *('markersize', 'board', 'aspectratio', 'flags', 'flagvalue', 'flagsvalue'),
    *('gridpoints', 'imagepoints', 'squaresizem', 'objectpoints', 'rms', 'error'),
    *('version', 'fileversion', 'formatversion', 'calibrated', 'depthcamera', 'depthscale'),
    'depthpose',
    *('depthmapfactor', 'depthunits', 'bf', 'baseline', 'thdepth', 'mindist', 'maxdist'),
    *('fthreshold', 'fixaspectratio', 'fixprincipalpoint', 'zerotangentdist'),
    *('fixprincipalpointatthecenter', 'assumezerotangentialdistortion', 'colmapimid'),
    *('rgb', 'newwidth', 'newheight', 'isrgb', 'colororder', 'encoding', 'pixelformat'),
    *('format', 'fov', 'hfov', 'vfov', 'fovdeg', 'fovx', 'fovy', 'dfov', 'fieldofview'),
    *('bitdepth', 'channels', 'rollingshutter', 'shutter', 'shuttertype', 'exposure'),
    *('gain', 'lineduration', 'extrinsics', 'extrinsic', 'rotation', 'translation', 'pose'),
    *('transform', 'extrinsicrotation', 'extrinsictranslation', 'qvec', 'tvec', 'rvecs'),
    *('tvecs', 'rvec', 'imagetopic', 'covariance', 'serial', 'serialnumber', 'serialno'),
    *('stream', 'streamtype', 'index', 'meanreprojectionerror', 'rows', 'cols', 'dt'),
    *('rowscols', 'camerainfo', 'url', 'uuid', 'units', 'unit', 'lensname'),
    *('focallengthmm', 'sensorwidthmm', 'sensorheightmm', 'pixelsizeum', 'pixelsizemm'),
    *('cameraanglex', 'cameraangley', 'pixelsize', 'pixelpitch', 'iso', 'sensorname'),
    *('black', 'cameratopic', 'infotopic', 'camerainfotopic', 'depthtopic', 'camera'),
    *('filepath', 'file', 'lensmake', 'lensserialnumber', 'brand', 'manufacturer'),
    *('location', 'status', 'lappingbegin', 'lappingend'),
    *('frames', 'aabbscale', 'appliedtransform', 'appliedscale', 'orientationoverride'),
    *('plyfilepath', 'trainfilenames', 'valfilenames', 'testfilenames'),
}
# Of rectified images, or of a pair: harmless as matrices, and unknown as numbers.
HARMLESS_MATRICES = {'r', 'p', 'q', 'r1', 'r2'}
# Uncertainties and residuals, whatever they are of; and entries of SLAM programs.
UNCERTAINTY = re.compile(
    r'^(std|cov|sigma|perview|perimage)|(cov|covariance|errors?|std|stddev)$|reproj'
)
OF_SLAM = re.compile(
    r'^(t(cam|cn|body|imu|base|bc|bs|lr|c1c2|ic|sc|wc|world|lidar|vehicle)'
    r'|(body|imu|cam|base|world|lidar)\d*(t|from|to|r)|cam\dcalib|numofcam'
    r'|extrinsic|local|imu|accel|acc|gyr|gnorm|noise|viewer|orbextractor|loop|tracker|feature|output|pose'
    r'|estimate|multiplethread|max|min|freq|show|equalize|keyframe|skip|load|save|visualize|fastreloc|td$)'
)
# Top-level parts of an ORB-SLAM or VINS file beside those of its cameras.
HARMLESS_PARTS = {
    *('orbextractor', 'viewer', 'imu', 'stereo', 'system', 'file', 'loopclosing', 'localmapping'),
    *('rgbd', 'threaddepth', 'initializer', 'tracking', 'tbc', 'tlr', 'extrinsics'),
}

# What in a dataset's own file, among all that it says, speaks of a lens.
LENS_LIKE = re.compile(
    r'^([kpbs]\d|d\d?|k|tau[xy])$|dist(?!ance)|fisheye|lens|coef|skew|ftheta|radial|tangential|model$'
    r'|^fl[xy]$|focal|intrinsic|projection|spherical|equirect|latlong|panoram|omni|orthographic'
)
